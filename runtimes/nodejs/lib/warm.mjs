// SPDX-License-Identifier: Apache-2.0
/** Nothing: loading it is what a blank does to have node's loader of ES modules ready (blank.cjs). */

export {};
