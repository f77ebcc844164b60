// SPDX-License-Identifier: Apache-2.0
/**
 * The response stream of a streaming handler: a Writable whose chunks leave as they are written, with chunked coding,
 * on the same connection. A failure after the start travels in trailers (error type, and the error as base64 JSON).
 * Loaded only for functions made with awslambda.streamifyResponse.
 */

'use strict';

const { Writable } = require('node:stream');
const { InvalidStreamingOperation, toReport } = require('./errors.cjs');
const { headerText } = require('./client.cjs');

const DEFAULT_TYPE = 'application/octet-stream';

class ResponseStream extends Writable {
    #api;
    #path;
    #type = DEFAULT_TYPE;
    #headSent = false;
    #over = false;

    constructor(api, requestId, highWaterMark) {
        super({ highWaterMark, decodeStrings: true, autoDestroy: false });
        this.#api = api;
        this.#path = `invocation/${encodeURIComponent(requestId)}/response`;
        this._onBeforeFirstWrite = null; // set by HttpResponseStream.from, as on AWS
    }

    setContentType(contentType) {
        if (this.#headSent || this.#over) {
            throw new InvalidStreamingOperation('Cannot set content-type, too late.');
        }
        this.#type = contentType;
    }

    /** True once the last byte of the response has been handed to the connection. */
    get over() {
        return this.#over;
    }

    write(chunk, ...rest) {
        if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) {
            chunk = JSON.stringify(chunk);
        }
        return super.write(chunk, ...rest);
    }

    #framed(chunk) {
        return chunk.length === 0 ? [] : [`${chunk.length.toString(16)}\r\n`, chunk, '\r\n'];
    }

    #start() {
        if (this.#headSent) {
            return [];
        }
        this.#headSent = true;
        const pieces = [this.#api.streamHead(this.#path, this.#type)];
        this._onBeforeFirstWrite?.((piece) => pieces.push(...this.#framed(Buffer.from(piece))));
        return pieces;
    }

    #finish(trailers, done) {
        if (this.#over) {
            return done?.();
        }
        const pieces = [...this.#start(), `0\r\n${trailers}\r\n`];
        this.#over = true;
        this.#api.owed++;
        this.#api.stream(pieces, done);
    }

    _write(chunk, _encoding, done) {
        this._writev([{ chunk }], done);
    }

    _writev(writes, done) {
        if (this.#over) {
            return done(new InvalidStreamingOperation('The response has ended.'));
        }
        const pieces = this.#start();
        for (const { chunk } of writes) {
            pieces.push(...this.#framed(chunk));
        }
        if (pieces.length === 0) {
            return done();
        }
        this.#api.stream(pieces, done);
    }

    _final(done) {
        this.#finish('', done);
    }

    _destroy(error, done) {
        if (!this.#over) {
            this.fail(error ?? new Error('Response stream was destroyed.'));
        }
        done(null); // reported to the caller of the function; an 'error' event would end the runtime as well
    }

    /** Ends the response with an error, unless it is over. */
    fail(error, done) {
        const report = toReport(error);
        const body = Buffer.from(JSON.stringify(report)).toString('base64');
        this.#finish(
            `Lambda-Runtime-Function-Error-Type: ${headerText(report.errorType)}\r\n` +
                `Lambda-Runtime-Function-Error-Body: ${body}\r\n`,
            done,
        );
    }
}

module.exports = { ResponseStream };
