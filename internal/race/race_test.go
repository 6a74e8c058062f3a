package race

import "testing"

func TestFew(t *testing.T) {
	for n := range 40 {
		for most := range 12 {
			var taken []int
			for i := range n {
				if few(i, n, most) {
					taken = append(taken, i)
				}
				if !On && !Few(i, n, most) {
					t.Errorf("case %d of %d is left out without the race detector", i, n)
				}
			}
			if len(taken) != min(n, most) {
				t.Fatalf("at most %d of %d: %v", most, n, taken)
			}
			if n > 1 && most > 1 && (taken[0] != 0 || taken[len(taken)-1] != n-1) {
				t.Errorf("at most %d of %d: %v lack the first or the last", most, n, taken)
			}
			for j := range max(len(taken)-2, 0) {
				if a, b := taken[j+1]-taken[j], taken[j+2]-taken[j+1]; max(a-b, b-a) > 1 {
					t.Errorf("at most %d of %d: %v are not evenly spread", most, n, taken)
				}
			}
		}
	}
}

func TestSome(t *testing.T) {
	for _, c := range []struct{ n, share, raced int }{{0, 5, 0}, {1, 5, 1}, {4, 5, 1}, {100, 5, 20}} {
		want := c.n
		if On {
			want = c.raced
		}
		if got := Some(c.n, c.share); got != want {
			t.Errorf("one part in %d of %d is %d, want %d", c.share, c.n, got, want)
		}
	}
}
