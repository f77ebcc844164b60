// SPDX-License-Identifier: Apache-2.0
/** Says hello, to a direct invocation ({"name": "Ada"}) and behind an HTTP API (?name=Ada). */

export const handler = async (event) => {
    const { name = 'world' } = event.queryStringParameters ?? event;
    return { message: `Hello, ${name}!`, runtime: 'nodejs' };
};
