"""How well what a page shows can be read, in whatever colours it is."""

__all__ = ["CONTRAST"]

CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d');
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = (colour) => [...rgb(colour)].slice(0, 3)
    .map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (one) => {
    const colour = getComputedStyle(one).backgroundColor;
    return rgb(colour)[3] || !one.parentElement ? colour : ground(one.parentElement);
  };
  const seen = [...document.querySelectorAll('h1,h2,p,dt,dd,th,td,li,button,summary,strong,span')]
    .filter((one) => one.checkVisibility() && one.textContent.trim());
  return Math.min(...seen.map((one) => {
    const pair = [light(getComputedStyle(one).color), light(ground(one))].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  }));
}"""
"""Returns the least contrast of any text that is seen to what is behind it (WCAG 2.2, 1.4.3)."""
