// SPDX-License-Identifier: Apache-2.0
//
// The function of test_seven_languages.py, in Node.js: does what its event says.
import { setTimeout } from 'node:timers/promises';

let count = 0;

function fail(message) {
    throw new RangeError(message);
}

export async function handler(event) {
    count += 1;
    console.log('doing', event.do);
    switch (event.do) {
        case 'echo': return event.value;
        case 'env': return process.env[event.value];
        case 'count': return count;
        case 'sleep': return setTimeout(1000000);
        default: return fail(event.value);
    }
}
