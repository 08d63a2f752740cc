/** How a length of time is said: pure. */
const UNITS = { day: 86_400, hour: 3_600, minute: 60 } as const;

/** The largest unit that says it well, and how many: whole ones, or at least two. Never more than it is, but for less than a minute. */
export function in_words(seconds: number): { unit: keyof typeof UNITS; count: number } {
  const whole = Math.round(seconds);
  for (const unit of ["day", "hour"] as const) {
    const count = Math.floor(whole / UNITS[unit]);
    if (count >= 2 || (count && whole % UNITS[unit] === 0)) return { unit, count };
  }
  return { unit: "minute", count: Math.max(1, Math.floor(whole / UNITS.minute)) };
}
