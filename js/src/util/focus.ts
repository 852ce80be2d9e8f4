/** Rebuilds what is in `container`; the element of the same accessible name gets the focus that its predecessor had. */
export function keepFocus(container: HTMLElement, rebuild: () => void): void {
  const focused = container.contains(document.activeElement)
    ? document.activeElement?.getAttribute("aria-label")
    : undefined;
  rebuild();
  if (!focused) return;
  const named = [...container.querySelectorAll<HTMLElement>("[aria-label]")];
  named.find((one) => one.getAttribute("aria-label") === focused)?.focus();
}
