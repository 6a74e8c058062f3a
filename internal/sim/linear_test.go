package sim

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
)

// keyModel is one key as the clients may see it.
var keyModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{""} },
	Step: func(state, input, _ any) []any {
		now, o := state.(string), input.(Op)
		switch {
		case !o.Write:
			if now == o.Value {
				return []any{now}
			}
			return nil
		case o.Unknown:
			out := []any{now}
			if o.Any != nil {
				for _, v := range o.Any {
					out = append(out, v)
				}
			} else if o.Holds(now) {
				out = append(out, o.Value)
			}
			return out
		case o.Holds(now) == o.Refused:
			return nil
		case o.Refused:
			return []any{now}
		}
		return []any{o.Value}
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
}

// linear returns the keys of ops that no order of the calls explains.
func linear(ops []Op) (bad []int) {
	for key := range crowdKeys {
		var history []porcupine.Operation
		for _, o := range ops {
			if o.Key == key {
				history = append(history, porcupine.Operation{ClientId: o.Client, Input: o, Call: o.Call, Return: o.Return})
			}
		}
		m := keyModel.ToModel()
		if porcupine.CheckOperationsTimeout(m, history, time.Minute) == porcupine.Illegal {
			bad = append(bad, key)
		}
	}
	return bad
}

// TestCrowdIsLinearizable lets six clients put, put under conditions, delete,
// copy and read three keys at the same time, through power losses and bad
// nodes: what they are told fits one order of their calls.
func TestCrowdIsLinearizable(t *testing.T) {
	for seed := *from; seed < *from+count(t, 2); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			var ops []Op
			var err error
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s := NewSetup(seed, false)
				s.Stage = 0
				var w *World
				if w, err = NewWorld(ctx, s, logger()); err == nil {
					ops, err = w.Crowd(6, 4, 6)
					_ = w.close()
				}
			})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for _, key := range linear(ops) {
				t.Errorf("seed %d: no order of the calls explains what clients saw of key %d:", seed, key)
				for _, o := range ops {
					if o.Key == key {
						t.Errorf("%+v", o)
					}
				}
			}
		})
	}
}

// TestLinearNotices shows that histories that break the promise are found.
func TestLinearNotices(t *testing.T) {
	put := func(v string, call, ret int64) Op { return Op{Write: true, Value: v, Call: call, Return: ret} }
	get := func(v string, call, ret int64) Op { return Op{Value: v, Call: call, Return: ret} }
	once := func(o Op) Op { o.Cond = IfNone; return o }
	maybe := func(o Op) Op { o.Unknown = true; return o }
	refused := func(o Op) Op { o.Refused = true; return o }
	for _, c := range []struct {
		name string
		good bool
		ops  []Op
	}{
		{"what was put is read", true, []Op{put("a", 1, 2), get("a", 3, 4)}},
		{"an acknowledged put is lost", false, []Op{put("a", 1, 2), get("", 3, 4)}},
		{"an overwritten version comes back", false, []Op{put("a", 1, 2), put("b", 3, 4), get("b", 5, 6), get("a", 7, 8)}},
		{"two at once, either wins", true, []Op{put("a", 1, 4), put("b", 2, 3), get("a", 5, 6)}},
		{"two win a race for one key", false, []Op{once(put("a", 1, 4)), once(put("b", 2, 3))}},
		{"one wins a race", true, []Op{once(put("a", 1, 4)), refused(once(put("b", 2, 3)))}},
		{"the winner was never there", false, []Op{refused(once(put("b", 2, 3))), get("", 4, 5)}},
		{"without an answer it may be there", true, []Op{maybe(put("a", 1, 5)), get("a", 6, 7)}},
		{"or not", true, []Op{maybe(put("a", 1, 5)), get("", 6, 7)}},
		{"but not sometimes", false, []Op{maybe(put("a", 1, 5)), get("", 6, 7), get("a", 8, 9)}},
		{"a read of what nobody wrote", false, []Op{get("x", 1, 2)}},
	} {
		if bad := linear(slices.Clone(c.ops)); (len(bad) == 0) != c.good {
			t.Errorf("%s: said to be bad: %v", c.name, bad)
		}
	}
}
