// SPDX-License-Identifier: Apache-2.0
/** The same runtime for those who start it as an ES module; bootstrap.cjs starts faster. */

import './bootstrap.cjs';
