/** Line drawings, 24 by 24; they say nothing that the words beside them do not. */
const PATHS = {
  food: "M6 3v7a2.5 2.5 0 0 0 5 0V3M8.5 12.5V21M17 21v-7h-2.5V8c0-3 1.5-5 2.5-5z",
  delay: "M12 7v5l3.5 2M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0z",
  noise: "M4 9.500v5h3.500L12 18.500v-13L7.5 9.500zM15.5 9a4 4 0 0 1 0 6M18 6.500a8 8 0 0 1 0 11",
  cleanliness: "M12 3s6 6.5 6 11a6 6 0 0 1-12 0c0-4.5 6-11 6-11zM9.5 14.500a2.5 2.5 0 0 0 2.5 2.5",
  staff: "M12 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 21a7.5 7.5 0 0 1 15 0",
  billing: "M6 3h12v18l-3-2-3 2-3-2-3 2zM9.5 8h5M9.5 12h5",
  baggage: "M5 8h14v12H5zM9 8V4h6v4M9.5 12v4M14.5 12v4",
  facilities: "M3 18v-8M3 14h18v4M21 14v-1a3 3 0 0 0-3-3h-7v4M7 11.500a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3z",
  safety: "M12 3l8 3v6c0 4.5-3.5 7.5-8 9-4.5-1.5-8-4.5-8-9V6zM12 8.500v4M12 15.500v.1",
  other: "M4 5h16v11H10l-4 4v-4H4zM8.5 10.500v.1M12 10.500v.1M15.5 10.500v.1",
  gift: "M4 11h16v9H4zM3 7h18v4H3zM12 7v13M12 7c-1.5-4-6-4.5-6-2 0 2 4 2 6 2 2 0 6 0 6-2 0-2.5-4.5-2-6 2z",
  cases: "M5 4h14v16H5zM8.5 9h7M8.5 13h7M8.5 17h4",
  inbox: "M6 10a6 6 0 0 1 12 0c0 5 2 6 2 6H4s2-1 2-6zM10 19.500a2 2 0 0 0 4 0",
  me: "M12 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 21a7.5 7.5 0 0 1 15 0",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  scan: "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M4 12h16",
  done: "M5 12.500l4.5 4.500L19 7.5",
  law: "M12 4v16M7 20h10M5 8h14M5 8l-2.5 6h5zM19 8l-2.5 6h5z",
  away: "M3 3l18 18M5 12.500a10 10 0 0 1 3.5-2.200M12 9.500c2.6 0 5 1 7 3M8.5 16a5 5 0 0 1 6 0M12 19.500v.1",
  till: "M6 10V4h12v6M4 10h16v10H4zM8 14h.1M12 14h.1M16 14h.1M8 17h8",
} as const;
export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
