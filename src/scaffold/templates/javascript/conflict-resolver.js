// The site's side wins for the paths in `ours`: files, and directories that end with `/`.

// Returns true if a path is in the list.
export function isOurs(path, ours) {
  return ours.some((entry) => path === entry || (entry.endsWith("/") && path.startsWith(entry)));
}
