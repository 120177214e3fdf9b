/** What the center says of something that is being written, asked a moment after each change. */

const PAUSE = 250;

export type Asked<T> = { readonly answer: T | null; readonly error: unknown; readonly asking: boolean };

/** Follows `written`; for use while a component is made. Of nothing written nothing is asked. */
export function asked<T>(written: () => string, ask: (written: string) => Promise<T>): Asked<T> {
  let answer = $state.raw<T | null>(null);
  let error = $state.raw<unknown>(null);
  let asking = $state(false);
  let number = 0;

  $effect(() => {
    const wanted = written().trim();
    number += 1;
    const mine = number;
    if (wanted === "") {
      answer = null;
      error = null;
      asking = false;
      return;
    }
    asking = true;
    const timer = setTimeout(() => {
      ask(wanted)
        .then(
          (found) => {
            if (mine !== number) return;
            answer = found;
            error = null;
          },
          (problem: unknown) => {
            if (mine !== number) return;
            answer = null;
            error = problem;
          },
        )
        .finally(() => {
          if (mine === number) asking = false;
        });
    }, PAUSE);
    return () => clearTimeout(timer);
  });

  return {
    get answer() {
      return answer;
    },
    get error() {
      return error;
    },
    get asking() {
      return asking;
    },
  };
}
