// An image with a caption below it, which screen readers speak when it changes. A traitlets model holds what it shows.
function makePicture(model, el) {
  const figure = document.createElement("figure"), words = document.createElement("figcaption");
  const image = document.createElement("img");
  figure.style.margin = "0";
  Object.assign(image.style, { maxWidth: "100%", imageRendering: model.get("crisp") ? "pixelated" : "auto" });
  if (model.get("width")) image.width = model.get("width");
  words.setAttribute("role", "status");
  const describe = () => {
    image.alt = model.get("alt");
    words.textContent = model.get("caption");
  };
  const paint = () => {
    const bytes = model.get("value"), old = image.src;
    image.hidden = !bytes.byteLength;
    if (bytes.byteLength) image.src = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
    URL.revokeObjectURL(old);
  };
  model.on("change:alt change:caption", describe);
  model.on("change:value", paint);
  describe();
  paint();
  figure.append(image, words);
  el.append(figure);
}
