/* A verdict of a notebook is as dark as the page: it asks for the attribute that Jupyter sets, by the theme chosen here. */
addEventListener("DOMContentLoaded", () => {
  const told = () => {
    const theme = document.body.dataset.theme;
    document.body.dataset.jpThemeLight = { light: "true", dark: "false" }[theme] ?? "";
  };
  new MutationObserver(told).observe(document.body, { attributeFilter: ["data-theme"] });
  told();
});
