// The page of a comparison needs a script for its theme alone.
document.querySelector(".tools")?.append(themeButton());
