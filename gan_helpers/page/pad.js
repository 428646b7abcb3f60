// A square pad: a picture with a mark on it that mouse, finger or arrow keys move. Notebook and exported page share it.

/** Fill `element` with a pad of the given reach; `moved(x, y)` hears of every move. Returns show(x, y, picture). */
function makePad(element, reach, moved, label = "Seed plane") {
  const canvas = document.createElement("canvas"), side = 2 * reach + 1, ink = canvas.getContext("2d");
  let x = 0, y = 0, picture = null;
  canvas.width = canvas.height = 480;
  canvas.className = "gan-pad";
  canvas.style.cssText = "width: 100%; max-width: 320px; touch-action: none; cursor: crosshair; border-radius: 4px";
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "slider");  // of two dimensions: its text says both
  canvas.setAttribute("aria-label", `${label}: arrow keys move, with Shift by a whole tile, Home goes to the middle`);

  function draw() {
    ink.fillStyle = "#ddd";
    ink.fillRect(0, 0, 480, 480);
    ink.imageSmoothingEnabled = false;
    if (picture) ink.drawImage(picture, 0, 0, 480, 480);
    const [px, py] = [x, y].map((v) => ((v + reach + 0.5) / side) * 480);
    for (const [width, colour] of [[7, "#000"], [3, "#fff"]]) {  // black around white: seen on any colour
      ink.lineWidth = width;
      ink.strokeStyle = colour;
      ink.beginPath();
      ink.arc(px, py, 14, 0, 7);
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        ink.moveTo(px + 8 * dx, py + 8 * dy);
        ink.lineTo(px + 22 * dx, py + 22 * dy);
      }
      ink.stroke();
    }
    const words = `${x.toFixed(2)} across, ${y.toFixed(2)} down`;
    canvas.setAttribute("aria-valuetext", words);
    canvas.setAttribute("aria-valuenow", x.toFixed(2));
  }
  function move(newX, newY) {
    [x, y] = [newX, newY].map((v) => Math.round(100 * Math.max(-reach, Math.min(reach, v))) / 100);
    draw();
    moved(x, y);
  }
  function follow(event) {
    const box = canvas.getBoundingClientRect();
    move(((event.clientX - box.left) / box.width) * side - reach - 0.5,
         ((event.clientY - box.top) / box.height) * side - reach - 0.5);
  }
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    follow(event);
  });
  canvas.addEventListener("pointermove", (event) => { if (event.buttons) follow(event); });
  canvas.addEventListener("keydown", (event) => {
    const ways = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
    const way = ways[event.key], step = event.shiftKey ? 1 : 0.1;
    if (way) move(x + way[0] * step, y + way[1] * step);
    else if (event.key === "Home") move(0, 0);
    else return;
    event.preventDefault();
    event.stopPropagation();  // JupyterLab would go to the next cell
  });
  element.append(canvas);
  draw();
  return (newX, newY, newPicture = picture) => {
    [x, y, picture] = [newX, newY, newPicture];
    draw();
  };
}
