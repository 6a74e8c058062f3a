package config

import (
	"encoding"
	"reflect"
	"strings"
)

// shape is what the value of a key must look like in the file.
type shape string

const (
	aString   shape = "a string"
	aSize     shape = "a size"
	aDuration shape = "a duration"
	aBool     shape = "true or false"
	aNumber   shape = "a number"
	someTexts shape = "a list of strings"
	aTable    shape = "a table"
	aList     shape = "a list of tables"
)

// keys is every key of the struct, dotted, with its shape, in the order of the
// struct.
func keys() []keyShape {
	var all []keyShape
	collect(reflect.TypeFor[Config](), "", &all)
	return all
}

type keyShape struct {
	key   string // dotted
	shape shape
	typ   reflect.Type
}

// read reports what is wrong with a value of the right shape.
func (k keyShape) read(text []byte) error {
	if u, ok := reflect.New(k.typ).Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText(text)
	}
	return nil
}

// example is how the key is written.
func (k keyShape) example() string {
	_, name := split(k.key)
	switch k.shape {
	case aSize:
		return name + ` = "20GiB"`
	case aDuration:
		return name + ` = "30s"`
	case aBool:
		return name + " = true"
	case aNumber:
		return name + " = 3"
	case someTexts:
		return name + ` = ["..."]`
	case aTable:
		return "[" + k.key + "]"
	case aList:
		return "[[" + k.key + "]]"
	}
	return name + ` = "..."`
}

func collect(t reflect.Type, prefix string, all *[]keyShape) {
	for i := range t.NumField() {
		f := t.Field(i)
		key := prefix + tagName(f)
		s := shapeOf(f.Type)
		*all = append(*all, keyShape{key, s, f.Type})
		switch s {
		case aTable:
			collect(f.Type, key+".", all)
		case aList:
			collect(f.Type.Elem(), key+".", all)
		}
	}
}

func tagName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
	return name
}

func shapeOf(t reflect.Type) shape {
	switch {
	case t == reflect.TypeFor[Size]():
		return aSize
	case t == reflect.TypeFor[Duration]():
		return aDuration
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return aString
	case t.Kind() == reflect.Bool:
		return aBool
	case t.Kind() == reflect.Int:
		return aNumber
	case t == reflect.TypeFor[[]string]():
		return someTexts
	case t.Kind() == reflect.Slice:
		return aList
	case t.Kind() == reflect.Struct:
		return aTable
	}
	return aString
}

// nearest is the key that was most likely meant by an unknown one: the fewest
// edits in its last part, a key of the same table before others. It is empty
// when nothing is near.
func nearest(unknown string, all []keyShape) string {
	table, name := split(unknown)
	best, least := "", 1+max(2, len(name)/2)*2
	for _, k := range all {
		t, n := split(k.key)
		cost := 2 * distance(name, n)
		if t != table {
			cost++
		}
		if cost < least {
			best, least = k.key, cost
		}
	}
	return best
}

func split(key string) (table, name string) {
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		return key[:i], key[i+1:]
	}
	return "", key
}

// distance is the number of bytes to insert, delete, replace or swap with
// their neighbour to make b of a.
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
