/**
 * The shapes that the server sends, as the page uses them.
 *
 * @typedef {Object} TaskEvent
 * @property {number} seq gapless per task, from 1
 * @property {string} kind
 * @property {string} at ISO time
 * @property {string} [run_id]
 * @property {Record<string, any>} data
 *
 * @typedef {Object} Task
 * @property {string} id
 * @property {string} status
 * @property {string} instruction
 * @property {string} created_at
 * @property {string|null} [started_at]
 * @property {string|null} [finished_at]
 *
 * @typedef {Object} CallRecord
 * @property {string} id
 * @property {string} tool
 * @property {Record<string, any>} arguments
 * @property {boolean} [ok]
 * @property {string} [text]
 * @property {string|null} [error_class]
 * @property {number} [seconds]
 *
 * @typedef {Object} Subgoal
 * @property {string} text
 * @property {string} status pending, running, done or failed
 * @property {string} [result]
 *
 * @typedef {Object} TimelineItem
 * @property {string} key stays the same while the item changes
 * @property {number} version grows with every change
 * @property {string} type step, heading, note, question, approval, message, review or trouble
 * @property {string} at
 * @property {Record<string, any>} data
 *
 * @typedef {Object} Totals
 * @property {number} calls
 * @property {number} tokens
 * @property {number} usd
 * @property {number} seconds time that the models took
 *
 * @typedef {Object} TaskState
 * @property {number} seq newest event that was folded in
 * @property {string} status
 * @property {string} endReason
 * @property {string} error
 * @property {string} firstAt
 * @property {string} lastAt
 * @property {{items: any[], degraded: string}|null} recall
 * @property {string} thought
 * @property {Subgoal[]} plan
 * @property {TimelineItem[]} timeline
 * @property {Map<string, TimelineItem>} byKey
 * @property {number} steps
 * @property {Totals} totals
 * @property {string} activity what is going on now, in a few words
 * @property {string|null} answer
 * @property {any[]} artifacts
 * @property {any[]|null} learned
 * @property {boolean} ended
 */

export {};
