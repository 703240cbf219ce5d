/** The gateway, asked from its own page; the session's cookie says who asks. */

/** An answer that is a problem document (RFC 9457), or no answer at all. */
export class ApiError extends Error {
  constructor({ status = 0, code = "unreachable", detail = "The gateway does not answer.", cure = "", errors = [] } = {}) {
    super(detail);
    Object.assign(this, { status, code, cure, errors });
  }
}

async function ask(method, path, { body, headers = {} } = {}) {
  let answer;
  try {
    answer = await fetch(path, { method, body, headers, credentials: "same-origin" });
  } catch {
    throw new ApiError();
  }
  const said = answer.status === 204 ? null : await answer.json().catch(() => ({ status: answer.status, detail: answer.statusText }));
  if (!answer.ok) throw new ApiError(said);
  return said;
}

const JSON_TYPE = { "Content-Type": "application/json" };

export const api = {
  get: (path) => ask("GET", path),
  post: (path, data, headers = {}) => ask("POST", path, { body: JSON.stringify(data), headers: { ...JSON_TYPE, ...headers } }),
  delete: (path) => ask("DELETE", path),
  /** @returns {Promise<{id: string, url: string}>} */
  upload: (file) => ask("POST", `/files?filename=${encodeURIComponent(file.name)}`, {
    body: file, headers: { "Content-Type": file.type || "application/octet-stream" },
  }),
};
