// Stops an update whose images have one of the tags in `refuse`.

// Whether an image's tag is in the list.
export function isRefused(reference, tags) {
  const name = reference.split("/").pop();
  return tags.includes(name.includes(":") ? name.split(":")[1] : "latest");
}
