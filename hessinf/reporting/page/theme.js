// The theme that was chosen last, before anything is painted. Without a choice the system's holds.
document.documentElement.classList.add("scripted");
try {
  const theme = localStorage.getItem("hessinf-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // A browser may forbid storage to files: then the choice holds until the page is closed.
}
