/** Three tasks to begin with, within what the embedded model can do; their data is here too. */

/**
 * @typedef {Object} Example
 * @property {string} title
 * @property {string} text
 * @property {{name: string, text: string}[]} files
 */

const ORDERS = {
  name: "orders.csv",
  text: `order_id;date;region;product;quantity;unit_price
1001;04/01/2025;North;Strop;3;24,50
1002;07/01/2025;South;Honing paste;12;6,90
1003;09/01/2025;North;Honing paste;5;6,90
1004;15/01/2025;East;Strop;1;24,50
1005;15/01/2025;East;Strop;1;24,50
1006;21/01/2025;West;Whetstone;4;39,00
1007;28/01/2025;South;Whetstone;2;39,00
1008;02/02/2025;North;Strop;6;24,50
`,
};

/** @type {Example[]} */
export const EXAMPLES = [
  {
    title: "Work on a table",
    text: "Sum the quantity per region in orders.csv and write the result to regions.csv",
    files: [ORDERS],
  },
  {
    title: "Again, with what it learned",
    text: "What is the mean of unit_price per product in orders.csv?",
    files: [ORDERS],
  },
  {
    title: "Reckon with dates",
    text: "How many days are there between 2025-03-01 and 2026-02-14?",
    files: [],
  },
];
