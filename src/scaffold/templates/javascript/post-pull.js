// Stops an update if an image has one of the tags in `refuse`.

// Returns true if an image's tag is in the list.
export function isRefused(reference, tags) {
  const name = reference.split("/").pop();
  return tags.includes(name.includes(":") ? name.split(":")[1] : "latest");
}
