/* TOML by toml++ (the one C++ dependency: the well-kept TOML 1.0 readers are C++). Its tree is copied into ours, in the
 * order of the file, and thrown away; no exception leaves this file.
 *
 * toml++ 3.3 bounds the nesting of values, not the length of dotted keys, and frees its tables by recursion: a megabyte
 * of "a.a.a." would end the stack. So dots are counted first, by a scan that knows no more of TOML than where strings
 * and comments are. */

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <toml++/toml.h>
#include <vector>

#include "config/tree.h"

namespace
{

int refuse_at(struct error *err, unsigned line, std::string_view reason)
{
        error_set(err, "%u: %.*s", line, static_cast<int>(std::min<size_t>(reason.size(), 400)), reason.data());
        return TREE_REFUSED;
}

/* Skips a string whose opening quote is at i; returns the index after it. A single-line string ends at its line's end
 * too: toml++ refuses that one anyway. */
size_t skip_string(std::string_view s, size_t i, unsigned *line)
{
        const char quote = s[i];
        const bool multi = s.substr(i, 3) == std::string(3, quote);
        i += multi ? 3 : 1;
        while (i < s.size()) {
                if (s[i] == '\\' && quote == '"' && i + 1 < s.size() && s[i + 1] != '\n') {
                        i += 2;
                        continue;
                }
                if (s[i] == '\n') {
                        if (!multi)
                                return i;
                        ++*line;
                }
                if (s[i] == quote && !multi)
                        return i + 1;
                if (s[i] == quote && s.substr(i, 3) == std::string(3, quote)) {
                        i += 3;
                        for (int extra = 0; extra < 2 && i < s.size() && s[i] == quote; extra++)
                                i++; /* TOML 1.0 "String": the text may itself end in one or two quotes */
                        return i;
                }
                i++;
        }
        return i;
}

/* 0, or the line of a key with too many parts. */
unsigned find_deep_key(std::string_view s)
{
        unsigned line = 1, dots = 0;
        for (size_t i = 0; i < s.size();) {
                switch (s[i]) {
                case '"':
                case '\'': i = skip_string(s, i, &line); continue;
                case '#': i = std::min(s.find('\n', i), s.size()); continue;
                case '.':
                        if (++dots >= TREE_MAX_DEPTH)
                                return line;
                        break;
                case '\n': line++; [[fallthrough]];
                case '=':
                case ',':
                case '[':
                case ']':
                case '{':
                case '}': dots = 0; break;
                default: break;
                }
                i++;
        }
        return 0;
}

int fill(struct tree_node *to, const toml::node &from, unsigned line, unsigned depth, struct error *err);

int fill_string(struct tree_node *to, const std::string &s, unsigned line, struct error *err)
{
        if (s.find('\0') != std::string::npos)
                return refuse_at(err, line, "strings must not contain a NUL character");
        to->string = strdup(s.c_str());
        if (!to->string)
                throw std::bad_alloc();
        to->kind = TREE_STRING;
        return 0;
}

struct entry {
        const toml::key *key;
        const toml::node *value;
};

bool earlier(const entry &a, const entry &b)
{
        const auto &x = a.key->source().begin, &y = b.key->source().begin;
        return x.line != y.line ? x.line < y.line : x.column < y.column;
}

int fill_map(struct tree_node *to, const toml::table &from, unsigned depth, struct error *err)
{
        std::vector<entry> entries; /* toml++ keeps them by name */
        for (auto &&[key, value] : from)
                entries.push_back({ &key, &value });
        std::sort(entries.begin(), entries.end(), earlier);

        to->kind = TREE_MAP;
        for (const entry &e : entries) {
                const std::string_view key = e.key->str();
                const unsigned line = e.key->source().begin.line;
                if (key.find('\0') != std::string_view::npos)
                        return refuse_at(err, line, "keys must not contain a NUL character");
                struct tree_node *child = tree_node_add(to, key.data(), key.size(), line);
                if (!child)
                        throw std::bad_alloc();
                int r = fill(child, *e.value, line, depth + 1, err);
                if (r != 0)
                        return r;
        }
        return 0;
}

int fill_list(struct tree_node *to, const toml::array &from, unsigned depth, struct error *err)
{
        to->kind = TREE_LIST;
        for (auto &&value : from) {
                const unsigned line = value.source().begin.line;
                struct tree_node *child = tree_node_add(to, nullptr, 0, line);
                if (!child)
                        throw std::bad_alloc();
                int r = fill(child, value, line, depth + 1, err);
                if (r != 0)
                        return r;
        }
        return 0;
}

int fill(struct tree_node *to, const toml::node &from, unsigned line, unsigned depth, struct error *err)
{
        if ((from.is_table() || from.is_array()) && depth > TREE_MAX_DEPTH)
                return refuse_at(err, line, "nested too deeply");
        switch (from.type()) {
        case toml::node_type::table: return fill_map(to, *from.as_table(), depth, err);
        case toml::node_type::array: return fill_list(to, *from.as_array(), depth, err);
        case toml::node_type::string: return fill_string(to, from.as_string()->get(), line, err);
        case toml::node_type::integer:
                to->kind = TREE_INTEGER;
                to->integer = from.as_integer()->get();
                return 0;
        case toml::node_type::boolean:
                to->kind = TREE_BOOLEAN;
                to->boolean = from.as_boolean()->get();
                return 0;
        case toml::node_type::floating_point: to->kind = TREE_FLOAT; return 0;
        default: to->kind = TREE_DATE; return 0;
        }
}

/* n belongs to the caller, who frees it whatever happens here. */
int parse_into(struct tree_node *n, std::string_view text, struct error *err)
{
        try {
                if (unsigned line = find_deep_key(text))
                        return refuse_at(err, line, "nested too deeply");
                const toml::table table = toml::parse(text);
                return fill(n, table, 1, 1, err);
        } catch (const toml::parse_error &e) {
                return refuse_at(err, e.source().begin.line, e.description());
        } catch (const std::bad_alloc &) {
                error_set(err, "1: out of memory");
                return -ENOMEM;
        } catch (...) {
                return refuse_at(err, 1, "not TOML");
        }
}

} // namespace

int tree_parse_toml(const char *text, size_t len, struct tree_node *root, struct error *err)
{
        struct tree_node n = {};
        n.line = 1;
        int r = parse_into(&n, std::string_view(text, len), err);
        if (r != 0)
                tree_node_done(&n);
        else
                *root = n;
        return r;
}
