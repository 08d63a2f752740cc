/** A view that is loaded when somebody opens it, with its words: most openings of the board need neither. */
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Board } from "../api";
import { say } from "../words";
import { Nothing } from "./parts";

export function Later({ board }: { board: Board }) {
  const [view, show] = useState<{ View: ComponentType<{ board: Board }> } | null>(null);
  const [failed, fail] = useState(false);
  useEffect(() => {
    import("./whatif")
      .then(async ({ ready, WhatIf }) => {
        await ready();
        show({ View: WhatIf });
      })
      // A file that did not come is asked for again when the view is opened again.
      .catch((fault: unknown) => {
        fail(true);
        if (!(fault instanceof TypeError)) throw fault;
      });
  }, []);
  if (!view) return <Nothing words={say(failed ? "board.failed" : "board.trouble.loading")} />;
  return <view.View board={board} />;
}
