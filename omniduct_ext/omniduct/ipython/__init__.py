"""Everything that knows IPython or Jupyter: magics' lines, the panel, prompts, progress and completion.

Nothing outside this room imports IPython or ipywidgets when it is loaded.
"""
