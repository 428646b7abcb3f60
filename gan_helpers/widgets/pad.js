// Ties the pad of page/pad.js, which stands above this in the same module, to the widget's model.
export default {
  render({ model, el }) {
    const moved = (x, y) => {
      model.set({ place: [x, y] });
      model.save_changes();
    };
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
