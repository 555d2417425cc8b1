"""How the site is built: python -m sphinx -W -b html docs build/site. Nothing is fetched, now or by a reader."""

import sys
from importlib import metadata
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / "_ext"), str(Path(__file__).parents[1])]

project = "archab"
author = "the archab authors"
copyright = author
release = metadata.version("archab")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "pages"]
exclude_patterns = ["_*"]
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!archab\.).*"),  # torch, pandas, numpy and Python have pages of their own, elsewhere
    (r"py:obj", r"archab\.[a-z_.]+"),  # a module
    (r"py:.*", r"archab\.(networks|engine\.(equivalence|cohort)|comparison\.plan)\..*"),  # rooms without a page
    (r"py:.*", r"archab\.(evidence\.(design|contrast)|metrics\.(rounds|contrast))\..*"),
]
default_role = "py:obj"  # backticks of a docstring: a link where that is documented, else code

html_title = "archab"
html_theme = "furo"
html_static_path = ["_static"]
html_extra_path = ["_extra"]
html_copy_source = False
html_domain_indices = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0f62a8",
        "color-brand-content": "#0f62a8",
        "color-brand-visited": "#0f62a8",
        "color-api-name": "#0f62a8",
    },
    "dark_css_variables": {
        "color-brand-primary": "#62b0f0",
        "color-brand-content": "#62b0f0",
        "color-brand-visited": "#62b0f0",
        "color-api-name": "#62b0f0",
    },
}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

myst_enable_extensions = ["colon_fence", "html_image"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # notebooks are shown as they were run; tests/test_site.py runs them anew
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # which would be loaded from elsewhere

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_display_short_literal_types = True
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
