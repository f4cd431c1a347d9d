/** The end of a list that grows stays in sight, for whoever looks at its end. */

/** How far from the end one may be and still look at it, in pixels. */
const NEAR = 40;

/**
 * Scroll along with what grows, until the reader scrolls up.
 *
 * @param {HTMLElement} list What scrolls.
 * @returns {() => void} Goes to the end, wherever the reader is.
 */
export function keepEndInSight(list) {
  let isAtEnd = true;
  let shown = 0;
  list.addEventListener("scroll", () => {
    // Growing moves nothing; only who scrolls up leaves the end.
    const isUp = list.scrollTop < shown;
    shown = list.scrollTop;
    const isNear = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR;
    if (isNear) isAtEnd = true;
    else if (isUp) isAtEnd = false;
  });
  const follow = () => {
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  };
  new MutationObserver(() => {
    requestAnimationFrame(() => {
      follow();
      // What came into sight by that may turn out higher than it was taken for.
      requestAnimationFrame(follow);
    });
  }).observe(list, { childList: true, characterData: true, subtree: true });
  return () => {
    isAtEnd = true;
    follow();
  };
}
