// SPDX-License-Identifier: Apache-2.0
//
// xml: the small part of XML 1.0 that AWS's protocols use: text to a tree, and pieces of text from values. Documents of
// strangers: no document type, no entities but the predefined ones and numbers, a bounded depth; the tree lives in an
// arena, whose maximum bounds it. Name space prefixes are dropped ("s3:Tag" is "Tag"), declarations of them too.
// Pure functions, any thread.
#ifndef SL_AWS_XML_H
#define SL_AWS_XML_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum { SL_XML_DEPTH = 32 };

struct sl_xml_attribute {
    struct sl_xml_attribute *next;
    struct sl_str name, value; // name as written, with its prefix ("xsi:type")
};

struct sl_xml {
    struct sl_str name; // without prefix
    struct sl_str text; // everything between the tags that is no element, decoded and joined
    struct sl_xml_attribute *attributes;
    struct sl_xml *first, *last, *next;
};

// The root element. SL_E_MALFORMED_XML (with S3's sentence) when the text is not a well-formed document of this kind,
// SL_E_NO_MEMORY when the arena is full. Views into `text` are kept.
int sl_xml_parse(struct sl_arena *arena, struct sl_str text, struct sl_xml **ret, struct sl_error *err);
// First child of that name, or NULL.
const struct sl_xml *sl_xml_child(const struct sl_xml *element, struct sl_str name);
// SL_E_MALFORMED_XML with S3's sentence.
int sl_xml_malformed(struct sl_error *err);

// Escaped. Characters that XML 1.0 cannot hold become U+FFFD.
void sl_xml_put_text(struct sl_buf *out, struct sl_str text);
static inline void sl_xml_open(struct sl_buf *out, struct sl_str name) { sl_buf_printf(out, "<%.*s>", SL_FMT(name)); }
static inline void sl_xml_close(struct sl_buf *out, struct sl_str name) { sl_buf_printf(out, "</%.*s>", SL_FMT(name)); }

#endif
