// Keeps images whose reference begins with an entry in `keep`.

// Returns true if one of an image's references begins with an entry in the list.
export function isKept(references, keep) {
  return references.some((reference) => keep.some((prefix) => reference.startsWith(prefix)));
}
