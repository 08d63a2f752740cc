/** Read a code by the camera, where the browser can; typing is always possible. */
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "./icons";
import { say } from "./words";

interface Detector {
  detect(source: HTMLVideoElement): Promise<{ rawValue: string }[]>;
}
declare const BarcodeDetector: (new () => Detector) | undefined;

/** How often a picture is looked at. */
const LOOK_EVERY_MS = 200;

export function Scan({ found }: { found: (text: string) => void }) {
  const [looking, look] = useState(false);
  if (typeof BarcodeDetector === "undefined" || !navigator.mediaDevices) return null;
  return (
    <>
      <button type="button" class="round" aria-label={say("app.scan")} onClick={() => look(true)}>
        <Icon name="scan" />
      </button>
      {looking && (
        <Camera
          found={(text) => {
            look(false);
            found(text);
          }}
          end={() => look(false)}
        />
      )}
    </>
  );
}

function Camera({ found, end }: { found: (text: string) => void; end: () => void }) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    let stream: MediaStream | undefined;
    let timer = 0;
    let over = false;
    const start = async (): Promise<void> => {
      if (typeof BarcodeDetector === "undefined") return;
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      if (over || !video.current) return stream.getTracks().forEach((one) => one.stop());
      video.current.srcObject = stream;
      await video.current.play();
      const detector = new BarcodeDetector();
      timer = window.setInterval(async () => {
        const [first] = video.current ? await detector.detect(video.current) : [];
        if (first && !over) found(first.rawValue);
      }, LOOK_EVERY_MS);
    };
    start().catch(end); // no camera, or not allowed: typing is left
    return () => {
      over = true;
      clearInterval(timer);
      stream?.getTracks().forEach((one) => one.stop());
    };
  }, []);
  return (
    <div class="camera" role="dialog" aria-modal="true" aria-label={say("app.scan")}>
      <video ref={video} muted playsInline />
      <button type="button" class="plain" onClick={end}>
        {say("app.cancel")}
      </button>
    </div>
  );
}
