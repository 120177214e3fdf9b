/**
 * xterm.js under a policy that refuses inline styles.
 *
 * Its renderer writes <style> elements and `style` attributes. Here it gets a document that gives sheets made by script
 * and styles set by property in their place: both are ours, and what a host writes never becomes text of a sheet.
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

function created(name: string): HTMLElement {
  if (name === "style") return standIn();
  const element = make.call(document, name);
  if (name === "span") element.setAttribute = setAttribute;
  return element;
}

/** The page's document, but for how it makes elements. */
export function documentForScreens(): Document {
  return new Proxy(document, {
    get(target, key) {
      if (key === "createElement") return created;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Runs what makes elements with the page's own document though it was given another: xterm's scroll bar does. */
export function withOwnStyles(act: () => void): void {
  document.createElement = ((name: string) => (name === "style" ? created(name) : make.call(document, name))) as Document["createElement"];
  try {
    act();
  } finally {
    Reflect.deleteProperty(document, "createElement");
  }
}
