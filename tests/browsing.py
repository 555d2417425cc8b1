"""Scripts that tests run in a page of the browser."""

# The contrast of WCAG 2.1 of every element under a selector that holds text of its own, against the nearest background
# behind it.
CONTRAST = """selector => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll(selector)]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .filter(e => !["STYLE", "TITLE"].includes(e.tagName))
    .map(e => {
      const style = getComputedStyle(e);
      const own = light(parse(e instanceof SVGElement ? style.fill : style.color)), behind = light(ground(e));
      return [e.textContent.trim().slice(0, 40), (Math.max(own, behind) + 0.05) / (Math.min(own, behind) + 0.05)];
    });
}"""
