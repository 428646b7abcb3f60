"""A 2-D pad as a widget: anywidget runs the same drawing code in JupyterLab, VS Code and Colab."""

from __future__ import annotations

import anywidget
import traitlets
from PIL import Image

from ..page import asset
from .picture import png

RENDER_JS = """
export default {
  render({ model, el }) {
    const moved = (x, y) => { model.set({ place: [x, y] }); model.save_changes(); };
    const show = makePad(el, model.get("reach"), moved, model.get("label"));
    const put = () => show(...model.get("place"));
    async function paint() {
      const bytes = model.get("picture");
      if (bytes.byteLength) show(...model.get("place"), await createImageBitmap(new Blob([bytes])));
    }
    model.on("change:place", put);
    model.on("change:picture", paint);
    put();
    paint();
  },
};
"""


class Pad(anywidget.AnyWidget):
    """A picture with a mark to drag.

    Attributes:
        place: (x, y), each from -reach to reach.
        picture: PNG bytes of the (2 reach + 1) x (2 reach + 1) tiles below the mark.
        label: the pad's name for those who can't see it.
    """

    _esm = asset("pad.js") + RENDER_JS
    place = traitlets.Tuple(traitlets.Float(), traitlets.Float(), default_value=(0.0, 0.0)).tag(sync=True)
    picture = traitlets.Bytes(b"").tag(sync=True)
    label = traitlets.Unicode("Seed plane").tag(sync=True)
    reach = traitlets.Int(2).tag(sync=True)

    def show(self, image: Image.Image) -> None:
        """Replace the picture."""
        self.picture = png(image)
