"""The image of every widget here: replaced in place, and said in words for those who cannot see it."""

from __future__ import annotations

import io

import anywidget
import traitlets
from PIL import Image

PICTURE_JS = """
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
"""


def png(image: Image.Image) -> bytes:
    """The image as PNG bytes, for `Picture.value`."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def figure_png(figure) -> bytes:
    """A matplotlib Figure as PNG bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80)
    return file.getvalue()


class Picture(anywidget.AnyWidget):
    """An image like `ipywidgets.Image`, which has no alternative text.

    Attributes:
        value: PNG bytes; nothing is shown while there are none.
        alt: what is to be seen, in words.
        caption: what stands below it.
        width: in pixels of the page; 0: as many as the image has.
        crisp: whether pixels stay squares where the image is enlarged.
    """

    _esm = PICTURE_JS + "export default { render: ({ model, el }) => makePicture(model, el) };"
    value = traitlets.Bytes(b"").tag(sync=True)
    alt = traitlets.Unicode("").tag(sync=True)
    caption = traitlets.Unicode("").tag(sync=True)
    width = traitlets.Int(0).tag(sync=True)
    crisp = traitlets.Bool(False).tag(sync=True)

    def show(self, image: Image.Image | bytes, alt: str, caption: str = "") -> None:
        """Replace the image (a Pillow image, or PNG bytes) and its words, all in one message to the page."""
        with self.hold_sync():
            self.value = image if isinstance(image, bytes) else png(image)
            self.alt, self.caption = alt, caption
