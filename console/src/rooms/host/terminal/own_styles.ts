/**
 * xterm.js under a policy that refuses inline styles.
 *
 * Its renderer writes <style> elements and `style` attributes. In their place it gets sheets made by script and styles
 * set by property: both are ours, and what a host writes never becomes text of a sheet.
 */

/** Stands in for a <style>: what is written into it is a sheet that the page adopts. */
function standIn(): HTMLElement {
  const sheet = new CSSStyleSheet();
  const element = make.call(document, "template");
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  Object.defineProperty(element, "textContent", { get: () => "", set: (rules: string) => sheet.replaceSync(rules) });
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet);
    Element.prototype.remove.call(element);
  };
  return element;
}

function setAttribute(this: HTMLElement, name: string, value: string): void {
  if (name === "style") this.style.cssText = value;
  else Element.prototype.setAttribute.call(this, name, value);
}

const make = Document.prototype.createElement;

function created(name: string, options?: ElementCreationOptions): HTMLElement {
  if (name === "style") return standIn();
  const element = make.call(document, name, options);
  if (name === "span") element.setAttribute = setAttribute;
  return element;
}

/** Has the page make such elements from now on: xterm's renderer takes the page's own document, whatever it is given. */
export function ownStyles(): void {
  document.createElement = created as Document["createElement"];
}
