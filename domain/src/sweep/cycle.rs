//! Circles of jobs that wait for each other.

use std::collections::VecDeque;

/// The jobs of a circle, each of which waits for the next and the last for the first: of the circles through one of its jobs, a shortest.
/// `pairs` are sorted; none where no job waits for itself by way of others.
pub(super) fn shortest(pairs: &[(u32, u32)], n_jobs: usize) -> Option<Vec<u32>> {
    let graph = Graph::new(pairs, n_jobs);
    graph.on_a_circle().map(|job| graph.shortest_through(job))
}

/// Who waits for whom.
struct Graph<'a> {
    pairs: &'a [(u32, u32)],
    /// Where the pairs of each job begin; one more at the end.
    starts: Vec<usize>,
}

impl<'a> Graph<'a> {
    fn new(pairs: &'a [(u32, u32)], n_jobs: usize) -> Self {
        let mut starts = vec![0; n_jobs + 1];
        for &(job, _) in pairs {
            starts[job as usize + 1] += 1;
        }
        for job in 0..n_jobs {
            starts[job + 1] += starts[job];
        }
        Self { pairs, starts }
    }

    /// What a job waits for.
    fn awaited(&self, job: u32) -> &'a [(u32, u32)] {
        &self.pairs[self.starts[job as usize]..self.starts[job as usize + 1]]
    }

    /// A job of a circle, found by following who waits for whom as far as it goes, without recursion: a chain can be a million jobs long.
    fn on_a_circle(&self) -> Option<u32> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            OnTheWay,
            Done,
        }
        let mut marks = vec![Mark::New; self.starts.len() - 1];
        let mut way: Vec<(u32, &[(u32, u32)])> = Vec::new();
        for start in 0..marks.len() as u32 {
            if marks[start as usize] == Mark::New {
                marks[start as usize] = Mark::OnTheWay;
                way.push((start, self.awaited(start)));
            }
            while let Some((job, rest)) = way.last_mut() {
                let Some((&(_, next), later)) = rest.split_first() else {
                    marks[*job as usize] = Mark::Done;
                    way.pop();
                    continue;
                };
                *rest = later;
                match marks[next as usize] {
                    Mark::New => {
                        marks[next as usize] = Mark::OnTheWay;
                        way.push((next, self.awaited(next)));
                    }
                    Mark::OnTheWay => return Some(next),
                    Mark::Done => {}
                }
            }
        }
        None
    }

    /// The shortest way from a job of a circle back to it, breadth first.
    fn shortest_through(&self, first: u32) -> Vec<u32> {
        let mut came_from = vec![None; self.starts.len() - 1];
        let mut queue = VecDeque::from([first]);
        while came_from[first as usize].is_none() {
            let job = queue.pop_front().expect("the job is on a circle");
            for &(_, next) in self.awaited(job) {
                if came_from[next as usize].is_none() {
                    came_from[next as usize] = Some(job);
                    queue.push_back(next);
                }
            }
        }
        let mut chain: Vec<u32> =
            std::iter::successors(came_from[first as usize], |&job| came_from[job as usize].filter(|_| job != first)).collect();
        chain.reverse();
        chain
    }
}
