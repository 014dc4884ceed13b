const led = [
  [/^#\/experiments\/\d+\/runs\/([0-9A-Za-z]+)/, "/runs/$1"],
  [/^#\/experiments\/(\d+)/, "/experiments/$1"],
  [/^#\/models\/([^/?]+)\/versions\/(\d+)/, "/models/$1/versions/$2"],
  [/^#\/models\/([^/?]+)/, "/models/$1"],
  [/^#\/models\/?(?:\?|$)/, "/models"],
];
const follow = () => {
  for (const [link, page] of led) {
    const found = location.hash.match(link);
    if (found) return location.replace(page.replace(/\$(\d)/g, (_, group) => found[group]));
  }
};
addEventListener("hashchange", follow);
follow();
