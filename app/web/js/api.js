/** Calls the REST API and turns what goes wrong into a readable `ApiError`. */

import { connection } from "./connection.js";

const BASE = "/api/v1";
const KEY = "strop.key";

/** A refusal by the server, or no server at all (status 0). */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} title
   * @param {string} detail
   * @param {{field: string, message: string}[]} [fields]
   */
  constructor(status, title, detail, fields = []) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.fields = fields;
  }
}

/**
 * @param {string} path
 * @returns {string}
 */
export function url(path) {
  return `${BASE}${path}`;
}

/**
 * Keep the API key for this tab; empty forgets it.
 *
 * @param {string} key
 */
export function setKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/**
 * Send a request and return the response if the server accepted it.
 *
 * @param {string} path below `/api/v1`
 * @param {RequestInit & {headers?: Record<string, string>}} [options]
 * @returns {Promise<Response>}
 */
export async function request(path, options = {}) {
  const headers = { ...(options.headers ?? {}) };
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  let response;
  try {
    response = await fetch(url(path), { ...options, headers, cache: "no-store" });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    connection.lost();
    throw new ApiError(0, "The server cannot be reached", "Is it running? The page keeps trying.");
  }
  connection.found();
  if (response.ok) return response;
  if (response.status === 401) connection.refused();
  throw await problem(response);
}

/**
 * @param {string} path
 * @returns {Promise<any>}
 */
export async function getJson(path) {
  return (await request(path, { headers: { Accept: "application/json" } })).json();
}

/**
 * @param {string} path
 * @param {unknown} [body]
 * @param {Record<string, string>} [headers]
 * @returns {Promise<any>}
 */
export async function postJson(path, body = {}, headers = {}) {
  const response = await request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return response.status === 204 ? null : response.json();
}

/**
 * Return the rows of a page of results, whichever way the server wraps them.
 *
 * @param {any} page
 * @returns {any[]}
 */
export function rows(page) {
  if (Array.isArray(page)) return page;
  return Array.isArray(page?.items) ? page.items : [];
}

/**
 * Read an RFC 9457 body; anything else becomes a plain sentence.
 *
 * @param {Response} response
 * @returns {Promise<ApiError>}
 */
async function problem(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    body = null;
  }
  const title = text(body?.title) || `The server answered ${response.status}`;
  const errors = Array.isArray(body?.errors) ? body.errors : [];
  const fields = errors.map((/** @type {any} */ error) => ({
    field: fieldName(error),
    message: text(error?.message ?? error?.msg ?? error?.detail),
  }));
  return new ApiError(response.status, title, text(body?.detail), fields);
}

/**
 * @param {any} error
 * @returns {string}
 */
function fieldName(error) {
  const where = error?.field ?? error?.loc ?? error?.pointer ?? "";
  return Array.isArray(where) ? where.join(".") : text(where);
}

/**
 * @param {unknown} value
 * @returns {string}
 */
function text(value) {
  return typeof value === "string" ? value : "";
}
