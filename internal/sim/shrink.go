package sim

// Shrink returns a plan as short as it finds for which fails still holds, made
// by leaving steps out of plan, for which it holds. fails is asked at most
// budget times.
func Shrink(plan []Step, budget int, fails func([]Step) bool) []Step {
	for size := (len(plan) + 1) / 2; size > 0 && budget > 0; {
		cut := false
		for at := 0; at < len(plan) && budget > 0; {
			end := min(at+size, len(plan))
			less := append(append([]Step(nil), plan[:at]...), plan[end:]...)
			budget--
			if fails(less) {
				plan, cut = less, true
				continue // what follows has moved here
			}
			at = end
		}
		if size == 1 && !cut {
			break
		}
		if size > 1 {
			size = (size + 1) / 2
		}
	}
	return plan
}
