/** The service worker: everything that was built is kept on the device, and nothing that the services answer. */
import { cleanupOutdatedCaches, precacheAndRoute } from "workbox-precaching";

declare const BUILT: { url: string; revision: string | null }[];

precacheAndRoute(BUILT, { ignoreURLParametersMatching: [/.*/] });
cleanupOutdatedCaches();
self.addEventListener("install", () => void (self as unknown as { skipWaiting(): Promise<void> }).skipWaiting());
self.addEventListener("activate", (event) => {
  const { clients } = self as unknown as { clients: { claim(): Promise<void> } };
  (event as unknown as { waitUntil(done: Promise<void>): void }).waitUntil(clients.claim());
});
