const GONE = ["restarting", "autorestarting", "terminating", "dead"];

/** Whether the kernel of a model is gone, which then stays so: a new one does not know the model. */
class KernelWatch {
  constructor(model) {
    this.model = model;
    this.isGone = false;
    this.views = new Set();
    this.note = () => this.end();
    this.noteStatus = (_kernel, status) => { if (GONE.includes(status)) this.end(); };
    // Not every page has all of these, and none of them tells of every end.
    model.on("comm_live_update", this.note);
    this.kernel = model.widget_manager?.kernel;
    this.kernel?.statusChanged?.connect(this.noteStatus);
    this.kernel?.disposed?.connect(this.note);
  }

  add(view) {
    this.views.add(view);
    if (this.isGone) view.end();
  }

  end() {
    if (this.isGone) return;
    this.isGone = true;
    for (const view of this.views) view.end();
    this.close();
  }

  close() {
    this.model.off("comm_live_update", this.note);
    this.kernel?.statusChanged?.disconnect(this.noteStatus);
    this.kernel?.disposed?.disconnect(this.note);
  }
}
