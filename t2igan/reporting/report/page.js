// The page works without this: a click elsewhere, or Escape, closes what a number's click has opened.
const sheets = () => document.querySelectorAll("td details[open]");
const close = (kept) => sheets().forEach((one) => { if (one !== kept) one.open = false; });
document.addEventListener("click", (event) => close(event.target.closest("td details")));
document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(null); });
const openTarget = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") { close(null); target.open = true; target.scrollIntoView(); }
};
addEventListener("hashchange", openTarget);
openTarget();
