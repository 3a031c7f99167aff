"""One HTML page of the results of runs: scores, curves, analyses, and their images step by step.

``charts`` makes plotly's figures of the tables of analyses, ``images`` collects what the page draws
of each image, ``windows`` asks the models where they looked, ``writer`` puts it all into the
templates of ``page/``. plotly and Jinja2 are the extra ``report``.
"""
