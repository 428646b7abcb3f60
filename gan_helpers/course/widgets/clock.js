// A picture with a clock: while the model plays, a message leaves every `interval` ms, and each is to be answered.
const AHEAD = 2;  // ticks on their way at a time: the kernel works on one while the answer to the other travels
function initialize({ model }) {
  let run = 0;
  function tick(mine) {
    if (mine === run && model.get("playing")) model.send({ run, sent: performance.now() });
  }
  model.on("change:playing", () => {
    run += 1;
    for (let k = 0; k < AHEAD; k++) setTimeout(tick, k * model.get("interval"), run);
  });
  model.on("change:answered", () => {
    const { run: mine, sent } = model.get("answered");
    setTimeout(tick, sent + AHEAD * model.get("interval") - performance.now(), mine);
  });
}
export default { initialize, render: ({ model, el }) => makePicture(model, el) };
