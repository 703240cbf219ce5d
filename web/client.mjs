/** The browser's side of the `/capsule` routes: one function a route, and one kind of error. */

/** A refusal or failure that the server explained: what happened, and what to do. */
export class CapsuleError extends Error {
  constructor({ code, message, cure = "" }) {
    super(message);
    this.code = code;
    this.cure = cure;
  }
}

/**
 * @param {any} api ComfyUI's api; its fetchApi knows the path prefix and the user
 * @typedef {ReturnType<typeof createClient>} Client
 */
export function createClient(api) {
  const get = (route) => answer(api.fetchApi(`/capsule${route}`));
  const post = (route, body) =>
    answer(
      api.fetchApi(`/capsule${route}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Comfy-Capsule": "1" },
        body: JSON.stringify({ ...body, client_id: api.clientId ?? "" }),
      }),
    );
  const task = (id) => `/tasks/${encodeURIComponent(id)}`;
  return {
    status: async () => (await get("/status")).json(),
    export: async (body) => (await post("/export", body)).json(),
    task: async (id) => (await get(task(id))).json(),
    cancel: async (id) => (await post(`${task(id)}/cancel`, {})).json(),
    file: async (id) => (await get(`${task(id)}/file`)).blob(),
  };
}

async function answer(request) {
  let response;
  try {
    response = await request;
  } catch (cause) {
    throw new CapsuleError({ code: "unreachable", message: `ComfyUI does not answer (${cause.message}).` });
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new CapsuleError({
    code: problem.code ?? "http-error",
    message: problem.title ?? `ComfyUI answered ${response.status} ${response.statusText}.`,
    cure: problem.cure,
  });
}
