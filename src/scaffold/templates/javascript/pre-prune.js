// Keeps images whose reference begins with one of `keep`.

// Whether one of an image's references begins with one of the list.
export function isKept(references, keep) {
  return references.some((reference) => keep.some((prefix) => reference.startsWith(prefix)));
}
