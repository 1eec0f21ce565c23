// Names for what Material leaves without one, for people who hear the page.
document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
document.querySelectorAll(".md-nav .md-nav[aria-labelledby]").forEach((nav) => {
  const title = nav.querySelector(".md-nav__title")?.textContent.trim();
  nav.removeAttribute("aria-labelledby");
  nav.setAttribute("aria-label", `Pages: ${title}`);
});

// Wide tables are put into boxes that scroll, after this script; the keyboard must reach them.
const article = document.querySelector("article");
const reach = () =>
  article.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])").forEach((box, place) => {
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", `Table ${place + 1}`);
  });
// So do formulas that are wider than the page, on a phone.
const reachFormulas = () =>
  article.querySelectorAll('math[display="block"]').forEach((formula) => {
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
    else formula.removeAttribute("tabindex");
  });
if (article) {
  reach();
  new MutationObserver(reach).observe(article, { childList: true, subtree: true });
  reachFormulas();
  addEventListener("resize", reachFormulas);
}
