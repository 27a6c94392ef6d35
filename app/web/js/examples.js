/** Three tasks to begin with; the data of the first one is in it. */

/**
 * @typedef {Object} Example
 * @property {string} title
 * @property {string} text
 * @property {{name: string, text: string}[]} files
 */

const ORDERS = `order_id;date;region;product;quantity;unit_price
1001;2025-01-04;North;Strop, leather;3;24,50
1002;2025-01-07;South;Honing paste;12;6,90
1003;2025-01-09;North;Honing paste;5;6,90
1004;2025-01-15;East;Strop, leather;1;24,50
1005;2025-01-15;East;Strop, leather;1;24,50
1006;2025-01-21;West;Whetstone;4;39,00
1007;2025-01-28;South;Whetstone;2;
1008;2025-02-02;North;Strop, leather;6;24,50
`;

/** @type {Example[]} */
export const EXAMPLES = [
  {
    title: "Work on a table",
    text: "Compute the revenue per region from orders.csv, leave out rows without a price, and write the result to revenue.csv, highest first.",
    files: [{ name: "orders.csv", text: ORDERS }],
  },
  {
    title: "Calculate something",
    text: "How many Fridays the 13th are there from 2025 to 2030? List their dates.",
    files: [],
  },
  {
    title: "Make a file",
    text: "Write a Python script primes.py that prints the primes below a number given on the command line, test it with 50, and show its output.",
    files: [],
  },
];
