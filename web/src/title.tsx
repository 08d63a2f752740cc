/** The title of a screen: it names the page too, and a screen reader reads on from it. */
import { useEffect, useRef } from "preact/hooks";

export function Title({ words }: { words: string }) {
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${words} – Service Check`;
    if (document.activeElement === document.body) title.current?.focus({ preventScroll: true });
  }, [words]);
  return (
    <h1 ref={title} tabIndex={-1}>
      {words}
    </h1>
  );
}
