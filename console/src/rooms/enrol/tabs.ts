/** The ways in which hosts join, each with an address: key, text, path. */
export const tabs: readonly (readonly [string, string, string])[] = [
  ["", "Approvals", "/enrol"],
  ["keys", "Keys", "/enrol/keys"],
  ["deploy", "Deploy by SSH", "/enrol/deploy"],
  ["dials", "Dials", "/enrol/dials"],
  ["bundles", "Bundles", "/enrol/bundles"],
];
